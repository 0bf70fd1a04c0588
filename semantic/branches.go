package semantic

func recogniseBranches(a *analysis) error { return nil }
