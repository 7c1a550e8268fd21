"""How Gradio widgets look: the studio's glass hue and typeface, light and dark; every font comes from this server."""

import gradio as gr

GLASS = ("#EAF3F4", "#CFE4E7", "#AED2D7", "#86BCC4", "#5CA3AE", "#338A97", "#00707F", "#005B68", "#00454F", "#003038", "#00252B")
CSS = """
@font-face { font-family: 'Atkinson Hyperlegible Next'; font-weight: 200 800; font-display: swap;
  src: url('/app/static/fonts/atkinson-hyperlegible-next-latin-wght-normal.woff2') format('woff2'); }
footer { display: none !important; }
"""


def theme() -> gr.themes.Base:
    """Primary buttons have a contrast of 5.8:1 in light and 8.9:1 in dark."""
    glass = gr.themes.Color(*GLASS, name="glass")
    base = gr.themes.Base(
        primary_hue=glass, secondary_hue=glass, neutral_hue=gr.themes.colors.slate, radius_size=gr.themes.sizes.radius_sm,
        font=(gr.themes.Font("Atkinson Hyperlegible Next"), gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")),
        font_mono=(gr.themes.Font("Atkinson Hyperlegible Mono"), gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")))
    return base.set(
        body_background_fill="#F8FAFA", body_background_fill_dark="#0E1518", body_text_color="#0B1114", body_text_color_dark="#E6ECEE",
        button_primary_background_fill="#00707F", button_primary_background_fill_hover="#005B68", button_primary_text_color="#FFFFFF",
        button_primary_background_fill_dark="#4CC3D6", button_primary_background_fill_hover_dark="#86DCE8", button_primary_text_color_dark="#0E1518")
