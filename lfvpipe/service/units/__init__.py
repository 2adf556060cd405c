"""Hosted models: inference units, pools of them, and who asks them.

An inference unit is a process that has one model in memory and judges one image at a time. A
service that is embedded in a pipeline's run judges in its own process instead, unless more than
one unit was asked for.
"""
