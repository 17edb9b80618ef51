package calls

// addVariables adds the methods about variables.
func (c *Calls) addVariables() {}
