package shopify

import (
	"encoding/json"
	"sync"
)

// First guesses, until Shopify has told. Mutations cost 10
// (https://shopify.dev/docs/api/usage/limits); lists cost far less than the
// documented sum, so that a middling guess serves all of them.
const (
	guessMutation = 10
	guessSized    = 40
	guessOther    = 10
)

// maxSize is the largest page and the largest list of ids that Shopify takes.
const maxSize = 250

// Costs remembers what each operation was said to cost. The cost is always
// read from extensions.cost: Shopify's own sums differ from its documentation.
// The zero value knows nothing yet. It is safe for concurrent use.
type Costs struct {
	mu      sync.Mutex
	learned map[costKey]float64
}

type costKey struct {
	op   string
	size int
}

func (c *Costs) estimate(op operation) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cost, ok := c.learned[costKey{op.name, op.size}]; ok {
		return cost
	}
	switch {
	case op.mutation:
		return guessMutation
	case op.size > 0:
		return guessSized
	}
	return guessOther
}

func (c *Costs) learn(op operation, requested float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.learned == nil {
		c.learned = make(map[costKey]float64)
	}
	c.learned[costKey{op.name, op.size}] = requested
}

// sizeOf reads how many records a request asks for from its variables: the
// cost depends on it.
func sizeOf(body []byte) int {
	var request struct {
		Variables struct {
			First int               `json:"first"`
			IDs   []json.RawMessage `json:"ids"`
		} `json:"variables"`
	}
	if json.Unmarshal(body, &request) != nil {
		return 0
	}
	return max(0, min(max(request.Variables.First, len(request.Variables.IDs)), maxSize))
}
