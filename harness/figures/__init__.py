"""The pictures of a run: data in, a matplotlib figure out. Nothing here touches pyplot, a file or a global setting.

matplotlib is imported where something is drawn, at the end of a run: half a second that no start waits for. Margins are given,
in inches: finding them (matplotlib's constrained layout) draws a figure several times over.
"""
