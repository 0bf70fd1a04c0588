package worker

// The limits that tests go to.
const (
	QueueLen       = queueLen
	MaxHeaderList  = maxHeaderList
	MaxGRPCStreams = maxGRPCStreams
)

// Defaults are the options of a server that is given none.
var Defaults = Options{}.withDefaults()
