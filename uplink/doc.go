// Package uplink carries records to the central FaaS and to brokers, however
// long that takes. A record that was committed survives power loss, is sent at
// least once with the same id each time, and leaves its queue only when the
// far side has it, when it can never be delivered (then it is in the
// dead-letter box, with the reason), or when it has expired.
package uplink
