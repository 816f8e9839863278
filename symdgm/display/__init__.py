"""What people look at: trees, derivations, pictures. Pictures load matplotlib when they are drawn."""
