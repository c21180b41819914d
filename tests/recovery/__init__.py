"""Each disaster of docs/ops/recovery.md on a stack of its own, mended by the commands that stand there."""
