"""Reports from results files: a page in HTML and Markdown, charts as PNG and SVG, a model card."""
