// Package tickets keeps the rights to put values into sessions: a ticket is used
// once, by the sender that it was made for, before it expires. The worker and the
// executor of this process share it.
package tickets
