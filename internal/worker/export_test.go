package worker

// The limits that tests go to.
const (
	QueueLen       = queueLen
	MaxHeaderList  = maxHeaderList
	MaxGRPCStreams = maxGRPCStreams
)
