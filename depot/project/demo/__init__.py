"""A demonstration depot: a school-bus and van depot whose history the product computes by itself."""
