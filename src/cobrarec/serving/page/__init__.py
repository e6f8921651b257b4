"""The page at `/ui` for who wants to see whether the model is any good. Needs the extra `ui`; `tabs`, `look`, `mount` know gradio."""
