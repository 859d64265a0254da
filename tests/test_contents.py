from coursekit.contents import PANEL, drop_panels


def output(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def test_a_panel_with_a_picture_gives_way_to_the_picture():
    both = output(**{PANEL: {"model_id": "1"}, "image/png": "AA=="})
    panel_only = output(**{PANEL: {"model_id": "2"}})
    text = {"output_type": "stream", "name": "stdout", "text": "1\n"}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [both, panel_only, text]}]
    drop_panels({"cells": cells})
    assert list(both["data"]) == ["image/png"]
    assert list(panel_only["data"]) == [PANEL], "better an error than an empty cell"
