import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from './onnx_pb.js';

export {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.js';

/** The bytes of an ONNX file. */
export function encodeOnnx(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

/** Reads the bytes of an ONNX file; the content is untrusted and still has to be checked. */
export function decodeOnnx(bytes: Uint8Array): ModelProto {
  return fromBinary(ModelProtoSchema, bytes);
}

/** Makes an empty ONNX model message. */
export function createOnnxModel(fields: Parameters<typeof create<typeof ModelProtoSchema>>[1]): ModelProto {
  return create(ModelProtoSchema, fields);
}
