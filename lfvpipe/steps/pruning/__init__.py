"""What lies on this machine and no run needs any more: found, sized, removed."""
