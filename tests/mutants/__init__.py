"""Guards proven by breaking them: each mutation of the kernel must turn the suite red."""
