"""One self-contained page about a cohort: content as plain data, curves as SVG, a template."""
