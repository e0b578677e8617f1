package apitest

import (
	"bytes"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
)

// A codec writes one media type.
type codec struct {
	factory serializer.CodecFactory
	info    runtime.SerializerInfo
}

func (s *Server) negotiate(accept string) codec {
	media := runtime.ContentTypeJSON
	if protobuf(accept) {
		media = runtime.ContentTypeProtobuf
	}
	info, ok := runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), media)
	if !ok {
		panic("apitest: no serializer for " + media)
	}
	return codec{s.codecs, info}
}

// encode works on a copy: encoders write the version into the object that they are given.
func (c codec) encode(o runtime.Object, gv schema.GroupVersion) ([]byte, error) {
	var b bytes.Buffer
	if err := c.factory.EncoderForVersion(c.info.Serializer, gv).Encode(o.DeepCopyObject(), &b); err != nil {
		return nil, fmt.Errorf("encode %T: %w", o, err)
	}
	return b.Bytes(), nil
}

// streamType is the Content-Type of a watch.
func (c codec) streamType() string {
	if c.info.MediaType == runtime.ContentTypeProtobuf {
		return c.info.MediaType + ";stream=watch"
	}
	return c.info.MediaType
}

// event renders one event of a watch, framed.
func (c codec) event(event watch.EventType, o runtime.Object, gv schema.GroupVersion) ([]byte, error) {
	object, err := c.encode(o, gv)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	outer := c.factory.EncoderForVersion(c.info.StreamSerializer.Serializer, gv)
	err = outer.Encode(&metav1.WatchEvent{Type: string(event), Object: runtime.RawExtension{Raw: object}}, frame{c.info.StreamSerializer.NewFrameWriter(&b)})
	if err != nil {
		return nil, fmt.Errorf("encode event of %T: %w", o, err)
	}
	return b.Bytes(), nil
}

// A frame hides everything of a frame writer but Write, for encoders look for more.
type frame struct{ io.Writer }
