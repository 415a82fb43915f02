package agent

// UplinkLimit is how many bytes a function may send up per day, by the current
// deployment; 0: as many as the link may.
func (a *Agent) UplinkLimit(function string) int64 {
	if fn := a.current.Load().functions[function]; fn != nil {
		return fn.Limits.Uplink
	}
	return 0
}

// LogRule says which log lines of a function leave the device, by the current
// deployment.
func (a *Agent) LogRule(function string) LogRule {
	if fn := a.current.Load().functions[function]; fn != nil {
		return fn.Log
	}
	return LogRule{}
}
