package checkpoint

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/pyjson"
)

// maxClasses bounds the classes of a classifier, far above any.
const maxClasses = 1 << 22

// Labels are the names of a classifier's classes by their number in decimal:
// those of id2label in config.json, with ids as Python reads them: "3", "03" or
// " 3". As in transformers, num_labels is the number of classes if it is given;
// the names are LABEL_0 and so on if id2label has another number of them; and
// there are two without either. The error wraps [pyjson.ErrType] and names the
// key.
func Labels(config pyjson.Object) (map[string]string, error) {
	r := config.Reader()
	names := r.Object("id2label")
	classes := 2
	if config.Given("id2label") {
		classes = len(names)
	}
	r.Int("num_labels", &classes)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if classes < 1 || classes > maxClasses {
		return nil, fmt.Errorf("%w: num_labels is %d", pyjson.ErrType, classes)
	}
	out := make(map[string]string, classes)
	if len(names) != classes {
		for i := range classes {
			id := strconv.Itoa(i)
			out[id] = "LABEL_" + id
		}
		return out, nil
	}
	for key, raw := range names {
		id, err := strconv.Atoi(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("%w: id2label has the key %.40q, which is no integer", pyjson.ErrType, key)
		}
		var name string
		if json.Unmarshal(raw, &name) != nil {
			name = string(raw)
		}
		out[strconv.Itoa(id)] = name
	}
	if len(out) != classes {
		return nil, fmt.Errorf("%w: id2label has one id twice", pyjson.ErrType)
	}
	return out, nil
}
