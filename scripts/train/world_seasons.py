"""What a season does to the colours of leaves, grass and ground."""

from world_shapes import chance, mix, rgb

SEASONS = ["spring", "summer", "autumn", "winter"]
BLOSSOM = ["#f7b7d2", "#fde6ef", "#f48fb8"]
TURNED = ["#e0862c", "#cf5230", "#e9b43c", "#b8452f", "#d96b2a"]


class Season:
    def __init__(self, name):
        self.name = name
        self.winter = name == "winter"

    def leaf(self, colour, key=0, share=1.0):
        """The colour of a tree's or a bush's leaves; share: how many of them follow the season."""
        colour = rgb(colour)
        if chance(key, 91) >= share:
            return colour
        if self.name == "spring":
            if chance(key, 92) < 0.42:
                return rgb(BLOSSOM[int(3 * chance(key, 93))])
            return mix(colour, rgb("#a9d75c"), 0.50)
        if self.name == "autumn":
            return mix(colour, rgb(TURNED[int(5 * chance(key, 94))]), 0.88)
        return colour

    def grass(self, colour):
        colour = rgb(colour)
        if self.name == "spring":
            return mix(colour, rgb("#97d354"), 0.42)
        if self.name == "autumn":
            return mix(colour, rgb("#c79a48"), 0.60)
        return colour

    def flower_colours(self, summer):
        """Colours of what lies in the grass; none in winter."""
        return {"spring": ["#ff8fb8", "#fff6fa", "#ffdb4d", "#b58cff"], "summer": list(summer),
                "autumn": ["#e2792b", "#c4472c", "#e8b03a"], "winter": []}[self.name]
