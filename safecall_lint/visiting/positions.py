"""Where the nodes of a LibCST tree stand in its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan


class Positions(ByteSpanPositionProvider):
    """LibCST's own positions without its metadata machinery, which walks the tree twice more to no end of ours."""

    def of(self, tree: cst.Module) -> Mapping[cst.CSTNode, CodeSpan]:
        """The byte span of every node."""
        self._gen_impl(tree)
        return cast("Mapping[cst.CSTNode, CodeSpan]", self._computed)
