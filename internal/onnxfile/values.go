package onnxfile

func (d *decoder) valueInfo(v field, to *[]*ValueInfo) error {
	if err := d.message(v, "value"); err != nil {
		return err
	}
	i := &ValueInfo{}
	*to = append(*to, i)
	return d.fields(v.bytes, "value", func(v field) error {
		switch v.num {
		case 1:
			return d.name(v, "value", &i.Name)
		case 2:
			return d.valueType(v, &i.Type)
		}
		return nil
	})
}

// valueType reads a TypeProto.
func (d *decoder) valueType(v field, t *Type) error {
	if err := d.message(v, "type"); err != nil {
		return err
	}
	return d.fields(v.bytes, "type", func(v field) error {
		switch v.num {
		case 1:
			t.Kind = KindTensor
			return d.tensorType(v, t)
		case 4:
			t.Kind = KindSequence
		case 5:
			t.Kind = KindMap
		case 8:
			t.Kind = KindSparse
		case 9:
			t.Kind = KindOptional
		}
		return nil
	})
}

func (d *decoder) tensorType(v field, t *Type) error {
	if err := d.message(v, "tensor type"); err != nil {
		return err
	}
	return d.fields(v.bytes, "tensor type", func(v field) error {
		switch v.num {
		case 1:
			var e int64
			err := d.integer(v, "tensor type", &e)
			t.Elem = DataType(e)
			return err
		case 2:
			t.HasShape = true
			return d.shape(v, &t.Dims)
		}
		return nil
	})
}

func (d *decoder) shape(v field, to *[]Dim) error {
	if err := d.message(v, "shape"); err != nil {
		return err
	}
	return d.fields(v.bytes, "shape", func(v field) error {
		if v.num != 1 {
			return nil
		}
		if err := d.message(v, "dimension"); err != nil {
			return err
		}
		var dim Dim
		err := d.fields(v.bytes, "dimension", func(v field) error {
			switch v.num {
			case 1:
				dim.Known = true
				return d.integer(v, "dimension", &dim.Size)
			case 2:
				return d.name(v, "dimension", &dim.Param)
			}
			return nil
		})
		if err == nil && len(*to) == MaxRank {
			err = malformed("a shape of more than %d dimensions", MaxRank)
		}
		*to = append(*to, dim)
		return err
	})
}
