// Package page is the page that people see of an agent in their browser, and the
// guard who decides who sees it. Files has no API of its own: it uses the one of
// agent/admin, which the guard lets through to whoever has logged in.
package page
