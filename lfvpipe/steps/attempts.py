"""Client tokens that hold over a kill but not over the hours in which a service remembers them."""

import os

from lfvpipe.engine.step import Work


def attempt_token(work: Work, *parts: str) -> str:
    """Return a client token that an attempt keeps when it is killed and no later attempt has.

    A service answers a known token with its first answer for 8 hours. The ledger's own token
    comes back after `destroy` made it forget the attempts, and would then get the answer about
    what was destroyed; so a random part is saved before the first use.
    """
    nonce = work.saved.get("nonce")
    if not isinstance(nonce, str):
        nonce = os.urandom(16).hex()
        work.save(nonce=nonce)
    return work.token(*parts, nonce)
