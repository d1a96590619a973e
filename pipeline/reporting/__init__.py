"""Reports: what changed since a moment, as sentences that text and pages share."""
