"""Loss terms: functions of tensors, written once each."""
