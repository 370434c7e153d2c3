"""Results files to what people look at: a page in HTML and Markdown, its charts as PNG and SVG, a model card."""
