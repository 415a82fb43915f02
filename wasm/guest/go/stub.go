//go:build !wasip1

package skerry

// There is no host here: the package compiles for tools and tests.
var _, _ = start, serve

func hostEventGet(uint32, []byte) int32                { return errnoNoHost }
func hostResultSet([]byte) int32                       { return errnoNoHost }
func hostErrorSet(string) int32                        { return errnoNoHost }
func hostErrorGet([]byte) int32                        { return errnoNoHost }
func hostLog(uint32, string) int32                     { return errnoNoHost }
func hostConfigGet(string, []byte) int32               { return errnoNoHost }
func hostSecretGet(string, []byte) int32               { return errnoNoHost }
func hostPublish(string, []byte, uint32) int32         { return errnoNoHost }
func hostEmit(string, []byte) int32                    { return errnoNoHost }
func hostFollowup(string, string, []byte) int32        { return errnoNoHost }
func hostKVGet(string, []byte) int32                   { return errnoNoHost }
func hostKVSet(string, []byte, uint32) int32           { return errnoNoHost }
func hostKVDelete(string) int32                        { return errnoNoHost }
func hostKVAdd(string, int64) int64                    { return -1 << 63 }
func hostKVCompareAndSet(string, []byte, []byte) int32 { return errnoNoHost }
func hostKVList(string, uint32, []byte) int32          { return errnoNoHost }
func hostRandom([]byte) int32                          { return errnoNoHost }
func hostSleep(uint32) int32                           { return errnoNoHost }
func hostHTTP([]byte, []byte) int32                    { return errnoNoHost }
