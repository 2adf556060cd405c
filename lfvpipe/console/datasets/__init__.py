"""What the console does with data sets: label, add, move and remove images, and show them."""
