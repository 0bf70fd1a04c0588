package plan

import "google.golang.org/protobuf/encoding/protowire"

// fieldContent is the content of a constant in a Value.
const fieldContent = 8

// Weigh inspects an encoded plan without decoding it: the bytes of its
// constants, and the number of its values, steps and other parts. A malformed
// plan counts up to the fault.
func Weigh(encoded []byte) (content int64, parts int) {
	for len(encoded) > 0 {
		_, typ, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			return content, parts
		}
		encoded = encoded[n:]
		if typ == protowire.BytesType {
			body, k := protowire.ConsumeBytes(encoded)
			if k < 0 {
				return content, parts
			}
			content += contentOf(body)
			parts++
		}
		if n = protowire.ConsumeFieldValue(1, typ, encoded); n < 0 {
			return content, parts
		}
		encoded = encoded[n:]
	}
	return content, parts
}

// contentOf is the length of the content in an encoded value.
func contentOf(value []byte) (n int64) {
	for len(value) > 0 {
		num, typ, k := protowire.ConsumeTag(value)
		if k < 0 {
			return n
		}
		value = value[k:]
		if num == fieldContent && typ == protowire.BytesType {
			body, _ := protowire.ConsumeBytes(value)
			n += int64(len(body))
		}
		if k = protowire.ConsumeFieldValue(num, typ, value); k < 0 {
			return n
		}
		value = value[k:]
	}
	return n
}
