"""namexp: experiments with neural amp models."""
