"""How Gradio widgets look: the studio's glass hue and typeface, light and dark; every font comes from this server."""

import gradio as gr

GLASS = ("#EAF3F4", "#CFE4E7", "#AED2D7", "#86BCC4", "#5CA3AE", "#338A97", "#00707F", "#005B68", "#00454F", "#003038", "#00252B")
GREY = ("#F8FAFA", "#E9EEEE", "#E3E9EA", "#CBD4D6", "#9DABB0", "#4E5B60", "#3A474C", "#33424A", "#222E33", "#182226", "#0E1518")
CSS = """
@font-face { font-family: 'Atkinson Hyperlegible Next'; font-weight: 200 800; font-display: swap;
  src: url('/app/static/fonts/atkinson-hyperlegible-next-latin-wght-normal.woff2') format('woff2'); }
footer { display: none !important; }
"""


def theme() -> gr.themes.Base:
    """Primary buttons have a contrast of 5.8:1 in light and 8.9:1 in dark."""
    glass = gr.themes.Color(*GLASS, name="glass")
    base = gr.themes.Base(
        primary_hue=glass, secondary_hue=glass, neutral_hue=gr.themes.Color(*GREY, name="grey"), radius_size=gr.themes.sizes.radius_sm,
        font=(gr.themes.Font("Atkinson Hyperlegible Next"), gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")),
        font_mono=(gr.themes.Font("Atkinson Hyperlegible Mono"), gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")))
    return base.set(
        body_background_fill="#F8FAFA", body_background_fill_dark="#0E1518", body_text_color="#0B1114", body_text_color_dark="#E6ECEE",
        body_text_color_subdued="#4E5B60", body_text_color_subdued_dark="#9DABB0", block_label_text_color="#4E5B60", block_label_text_color_dark="#9DABB0",
        block_title_text_color="#0B1114", block_title_text_color_dark="#E6ECEE", block_info_text_color="#4E5B60", block_info_text_color_dark="#9DABB0",
        button_primary_background_fill="#00707F", button_primary_background_fill_hover="#005B68", button_primary_text_color="#FFFFFF",
        button_primary_background_fill_dark="#4CC3D6", button_primary_background_fill_hover_dark="#86DCE8", button_primary_text_color_dark="#0E1518")
