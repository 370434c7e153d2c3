"""Tables of labels: files as rows of cells, the meaning of their columns, and the pictures that rows name."""
