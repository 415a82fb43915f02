package uplink

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A token is replaced before it ends, and serves to its end while that fails.
func TestTokensAreRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, broken := 0, false
		tk := newTokens(func(context.Context) (token, error) {
			if asked++; broken {
				return token{}, &Error{Class: Retry, Reason: "broken"}
			}
			return newToken(string(rune('a'-1+asked)), time.Hour), nil
		})
		for _, tt := range []struct {
			after  time.Duration
			broken bool
			want   string
			asked  int
		}{
			{0, false, "a", 1},
			{54 * time.Minute, false, "a", 1},
			{2 * time.Minute, true, "a", 2}, // 56 min: due, and fails
			{time.Second, true, "a", 2},
			{5 * time.Minute, true, "", 3}, // 61 min: over
			{0, false, "d", 4},
			{56 * time.Minute, false, "e", 5},
		} {
			<-time.After(tt.after)
			broken = tt.broken
			got, err := tk.get(t.Context())
			if got != tt.want || (err != nil) != (tt.want == "") || asked != tt.asked {
				t.Errorf("%+v: got %q, %v after %d", tt, got, err, asked)
			}
		}
	})
}

// One asks and the others wait for it; what came of it is theirs too.
func TestTokensAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, fail := 0, errors.New("no")
		answer := make(chan error)
		tk := newTokens(func(context.Context) (token, error) {
			asked++
			return newToken("t", time.Hour), <-answer
		})
		for _, want := range []error{fail, nil} {
			results := make(chan error, 10)
			for range 10 {
				go func() {
					_, err := tk.get(t.Context())
					results <- err
				}()
			}
			synctest.Wait()
			answer <- want
			for range 10 {
				if err := <-results; !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tk.gate <- struct{}{}
		tk.token = token{}
		if _, err := tk.get(ctx); ClassOf(err) != Retry {
			t.Errorf("%v", err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","token_type":"Bearer","expires_in":3600}`))
	f.Add([]byte(`{"access_token":"a","expires_in":"1e300"}`))
	f.Add([]byte(`{"access_token":1,"expires_in":-1}`))
	f.Add([]byte(`{"access_token":"h.eyJpYXQiOjEsImV4cCI6Mn0.s","token_type":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseToken(body, "access_token")
		if err != nil {
			return
		}
		life := time.Until(got.ends)
		if got.value == "" || !validValue(got.value) || life > maxTokenLife || life < 0 || got.renewAt.After(got.ends) {
			t.Errorf("%q gives %+v", body, got)
		}
		if life := jwtLifeOf(got.value); life < time.Second || life > maxTokenLife {
			t.Errorf("%q lasts %v", got.value, life)
		}
		oauthError(body)
	})
}
