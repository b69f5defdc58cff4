"""What a vocoder's output looks and sounds like."""
