package uplink

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// kind is one row of the table: the options it has and how it is made. An
// option that may stand in a file is listed by its own name.
type kind struct {
	uses string // keys of TargetConfig, separated by spaces
	open func(TargetConfig) (Target, error)
}

// kinds is the table. A kind that speaks HTTP is a preset (preset.go) and a
// golden file; what is not HTTP, or signs each request, makes its own Target.
// Each row stands in the file of its kind; here is only its name.
var kinds = map[string]kind{
	"azure":       azureRow,
	"cloudevents": cloudEventsRow,
	"fission":     fissionRow,
	"fn":          fnRow,
	"gcf":         gcfRow,
	"hookio":      hookioRow,
	"http":        httpRow,
	"ifttt":       iftttRow,
	"kubeless":    kubelessRow,
	"nuclio":      nuclioRow,
	"openfaas":    openFaaSRow,
	"openlambda":  openLambdaRow,
	"openwhisk":   openWhiskRow,
	"picasso":     picassoRow,
	"snafu":       snafuRow,
	"webtask":     webtaskRow,

	"lambda":        lambdaRow,
	"lambda-url":    lambdaURLRow,
	"stepfunctions": stepFunctionsRow,
	"xray":          xrayRow,
	"mqtt":          mqttKind,
	"otlp":          otlpRow,
}

// Kinds are the names that Open knows, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Open makes the target that cfg describes. It does not connect. The error is
// one sentence, or several joined, about an unknown kind, or an *OptionError
// each for a value that is missing or senseless and for an option that the kind
// does not have.
func Open(cfg TargetConfig) (Target, error) {
	k, ok := kinds[cfg.Kind]
	if !ok {
		return nil, mistake("kind", "%q is not known; use one of %s", cfg.Kind, strings.Join(Kinds(), ", "))
	}
	if err := k.check(&cfg); err != nil {
		return nil, err
	}
	return k.open(cfg)
}

// Batcher is a Target that takes several records in one request. errs[i] is
// what became of recs[i], as of a Target.
type Batcher interface {
	Target
	SendBatch(ctx context.Context, recs []agent.Record) []error
}

// Noter is a Target that has something to tell people about, beside its
// errors: sentences without secrets.
type Noter interface{ Notes() []string }
