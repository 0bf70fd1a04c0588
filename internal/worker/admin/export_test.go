package admin

// The limits that tests go to.
const (
	MaxConns    = maxConns
	Scrapes     = scrapes
	HeaderTime  = headerTime
	RequestTime = requestTime
	ProfileTime = profileTime
	IdleTime    = idleTime
)
