"""The kit of pages: each part once in a real browser, formats and words as whole values, forms and doors attacked."""
