package page

// An attack is a request that must be refused. The header cookie stands for that of a
// session.
type attack struct {
	name, method, target string
	headers              []string
	code                 int
	want                 string
}

const (
	cookie    = "Cookie: of a session"
	asJSON    = "Content-Type: application/json"
	ours      = "Origin: http://127.0.0.1:9180"
	foreign   = "Origin: https://evil.example"
	crossing  = "Sec-Fetch-Site: cross-site"
	notCalled = "this device is not called"
	another   = "another site asked for this"
	plainly   = "write it plainly"
	logIn     = "log in first"
	getOrPost = "GET or POST"
)

var attacks = []attack{
	{"rebinding", "GET", "/v1/status", []string{"Host: evil.example:9180", cookie}, 421, notCalled},
	{"rebinding, the page", "GET", "/", []string{"Host: evil.example"}, 421, notCalled},
	{"rebinding, figures", "GET", "/metrics", []string{"Host: evil.example"}, 421, notCalled},
	{"rebinding, health", "GET", "/healthz", []string{"Host: evil.example"}, 421, notCalled},
	{"rebinding, login", "POST", "/login", []string{"Host: 127.0.0.1.evil.example", asJSON}, 421, notCalled},
	{"rebinding, like our name", "GET", "/", []string{"Host: localhost.evil.example"}, 421, notCalled},
	{"an address of another device", "GET", "/", []string{"Host: 192.0.2.1"}, 421, notCalled},
	{"loopback, oddly", "GET", "/", []string{"Host: 0.0.0.0:9180"}, 421, notCalled},
	{"no host", "GET", "/", []string{"Host: "}, 421, notCalled},
	{"user and host", "GET", "/", []string{"Host: localhost@evil.example"}, 421, notCalled},

	{"form of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: application/x-www-form-urlencoded"}, 403, another},
	{"text of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: text/plain"}, 403, another},
	{"upload of another site", "POST", "/v1/sync", []string{cookie, foreign, "Content-Type: multipart/form-data; boundary=x"}, 403, another},
	{"JSON of another site", "POST", "/v1/sync", []string{cookie, foreign, asJSON}, 403, another},
	{"no type, of another site", "POST", "/v1/sync", []string{cookie, foreign}, 403, another},
	{"a sandboxed frame", "POST", "/v1/sync", []string{cookie, "Origin: null", asJSON}, 403, another},
	{"another port of this device", "POST", "/v1/sync", []string{cookie, "Origin: http://127.0.0.1:3000", asJSON}, 403, another},
	{"another port, as browsers call it", "POST", "/v1/sync", []string{cookie, "Sec-Fetch-Site: same-site", asJSON}, 403, another},
	{"two origins", "POST", "/v1/sync", []string{cookie, ours, foreign, asJSON}, 403, another},
	{"ours, but cross-site", "POST", "/v1/sync", []string{cookie, ours, crossing}, 403, another},
	{"a navigation that posts", "POST", "/v1/sync", []string{cookie, crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
	{"a stream for another site", "GET", "/v1/events", []string{cookie, foreign}, 403, another},
	{"a stream in an image", "GET", "/v1/logs", []string{cookie, crossing, "Sec-Fetch-Mode: no-cors"}, 403, another},
	{"a stream in a new window", "GET", "/v1/events", []string{cookie, crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
	{"a WebSocket of another site", "GET", "/v1/events", []string{cookie, foreign, "Upgrade: websocket", "Connection: Upgrade"}, 403, another},
	{"figures for another site", "GET", "/metrics", []string{crossing, "Sec-Fetch-Mode: navigate"}, 403, another},
	{"the page's files for another site", "GET", "/app.js", []string{crossing, "Sec-Fetch-Mode: no-cors"}, 403, another},
	{"login for another site", "POST", "/login", []string{foreign, asJSON}, 403, another},
	{"logout for another site", "POST", "/logout", []string{cookie, crossing}, 403, another},
	{"a cookie without origin", "POST", "/v1/sync", []string{cookie, asJSON}, 403, "does not say which page"},
	{"may I?", "OPTIONS", "/v1/sync", []string{ours, "Access-Control-Request-Method: POST"}, 405, getOrPost},

	{"nobody", "GET", "/v1/status", nil, 401, logIn},
	{"nobody, a stream", "GET", "/v1/events", nil, 401, logIn},
	{"nobody posts", "POST", "/v1/sync", []string{ours}, 401, logIn},
	{"a made-up session", "GET", "/v1/status", []string{"Cookie: skerry-9180=AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401, logIn},
	{"an empty session", "GET", "/v1/status", []string{"Cookie: skerry-9180=", "Skerry-Key: "}, 401, logIn},
	{"a password", "GET", "/v1/status", []string{"Authorization: Basic Zzp0"}, 401, "Bearer TOKEN"},
	{"a login through the page", "POST", "/v1/login", nil, 401, logIn},
	{"figures, from elsewhere", "GET", "/metrics", []string{"From: 192.0.2.7:5"}, 401, logIn},
	{"figures, through a proxy here", "GET", "/metrics", []string{"X-Forwarded-For: 192.0.2.7"}, 401, logIn},
	{"figures, through a proxy that keeps the name", "GET", "/metrics", []string{"Host: gw7.plant.example"}, 401, logIn},

	{"two slashes", "GET", "//v1/status", []string{cookie}, 400, plainly},
	{"two slashes within", "GET", "/v1//status", []string{cookie}, 400, plainly},
	{"up and down", "GET", "/v1/../v1/status", []string{cookie}, 400, plainly},
	{"up from a file", "GET", "/x/../v1/status", []string{cookie}, 400, plainly},
	{"dots, written otherwise", "GET", "/x/%2e%2e/v1/status", []string{cookie}, 400, plainly},
	{"a slash, written otherwise", "GET", "/v1%2fstatus", []string{cookie}, 400, plainly},
	{"above all", "GET", "/%2e%2e/etc/passwd", nil, 400, plainly},
	{"at the end", "GET", "/v1/status/.", []string{cookie}, 400, plainly},

	{"a trace", "TRACE", "/", nil, 405, getOrPost},
	{"a put", "PUT", "/v1/sync", []string{cookie, ours}, 405, getOrPost},
	{"a delete", "DELETE", "/v1/sync", []string{cookie, ours}, 405, getOrPost},
	{"posting to the page", "POST", "/", []string{ours}, 405, getOrPost},
	{"posting to health", "POST", "/healthz", nil, 405, getOrPost},
	{"login by link", "GET", "/login?token=" + goodToken, nil, 405, getOrPost},
	{"logout by image", "GET", "/logout", []string{cookie}, 405, getOrPost},
}
