package io.espalier.onnx.model;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnsafeByteOperations;

import io.espalier.onnx.proto.GraphProto;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.onnx.proto.TensorProto;
import io.espalier.state.AtomicFile;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** An ONNX model's file, and the one beside it for weights that are too many. */
final class ModelFile {
    /** What a message may hold: its format counts bytes in 31 bits. */
    private static final long MESSAGE_LIMIT = Integer.MAX_VALUE;

    /** Weights that leave enough room for the rest of a message. */
    static final long WEIGHTS_WITHIN = MESSAGE_LIMIT - (256L << 20);

    /** Smaller constants stay in the model's own file: they are read before anything runs. */
    private static final long EXTERNAL_FROM = 1024;

    /** Where tensors begin in a file of weights, as the standard advises for mapping. */
    private static final long ALIGNMENT = 4096;

    private ModelFile() {}

    static OnnxModel read(Path file) {
        try {
            if (!Files.isRegularFile(file)) {
                throw new EspalierException(
                        "Can't read %s: %s."
                                .formatted(
                                        file,
                                        Files.exists(file)
                                                ? "it is not a file"
                                                : "no such file or folder"));
            }
            if (Files.size(file) > MESSAGE_LIMIT) {
                throw new EspalierException(
                        "%s has %d MB; an ONNX model's own file has at most 2,147 MB, its weights lie beside it."
                                .formatted(file, Files.size(file) / 1_000_000));
            }
            ModelProto proto = parse(ExternalData.mapFile(file));
            if (!proto.hasGraph()) {
                throw new EspalierException(file + " is no ONNX model: it has no graph.");
            }
            return OnnxModel.of(proto, ExternalData.beside(file));
        } catch (InvalidProtocolBufferException e) {
            throw new EspalierException(
                    file + " is no ONNX model, or it is damaged or cut off.", e);
        } catch (EspalierException e) {
            String reason = SafeTensors.printable(String.valueOf(e.getMessage()));
            throw new EspalierException(
                    reason.contains(file.toString())
                            ? reason
                            : "Can't load " + file + ": " + reason,
                    e);
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't read " + file + ": " + AtomicFile.reason(e) + ".", e);
        }
    }

    /** The message in mapped memory, whose tensors stay there. */
    private static ModelProto parse(MemorySegment bytes) throws IOException {
        CodedInputStream input =
                UnsafeByteOperations.unsafeWrap(bytes.asByteBuffer()).newCodedInput();
        input.enableAliasing(true);
        return ModelProto.parseFrom(input);
    }

    static void write(OnnxModel model, Path file) {
        boolean external = model.isExternal() || !model.fitsOneMessage();
        if (!external) {
            ModelProto proto = message(model, (name, constant) -> constant.toProto(name));
            AtomicFile.write(file, channel -> write(proto, channel));
            return;
        }
        Path data = file.resolveSibling(file.getFileName() + ".data");
        var layout = new WeightsLayout(data.getFileName().toString());
        ModelProto proto = message(model, layout::describe);
        layout.rewind();
        // The weights take their place last but one, when the model itself is on disk already.
        AtomicFile.write(
                file,
                channel -> {
                    write(proto, channel);
                    channel.force(true);
                    AtomicFile.write(data, weights -> layout.write(model, weights));
                });
    }

    static ModelProto message(OnnxModel model, OnnxGraph.ConstantWriter writer) {
        GraphProto graph = model.graph().toProto(writer);
        return model.rest().toBuilder()
                .setGraph(model.isStoredSparse() ? SparseConstants.sparse(graph) : graph)
                .build();
    }

    private static void write(ModelProto proto, FileChannel channel) throws IOException {
        CodedOutputStream out =
                CodedOutputStream.newInstance(Channels.newOutputStream(channel), 1 << 16);
        proto.writeTo(out);
        out.flush();
    }

    /** Where each tensor lies in a file of weights: the same walk twice, to write and to tell. */
    private static final class WeightsLayout {
        private final String location;
        private long at;

        private WeightsLayout(String location) {
            this.location = location;
        }

        private boolean isApart(ConstantTensor constant) {
            return constant.type() != ElementType.STRING && constant.byteSize() >= EXTERNAL_FROM;
        }

        private void rewind() {
            at = 0;
        }

        private long place(ConstantTensor constant) {
            long place = Math.ceilDiv(at, ALIGNMENT) * ALIGNMENT;
            at = place + constant.byteSize();
            return place;
        }

        private void write(OnnxModel model, FileChannel channel) throws IOException {
            for (ConstantTensor constant : model.graph().constants().values()) {
                if (isApart(constant)) {
                    write(constant, channel);
                }
            }
        }

        private void write(ConstantTensor constant, FileChannel channel) throws IOException {
            channel.position(place(constant));
            MemorySegment bytes = constant.bytes();
            for (long from = 0; from < bytes.byteSize(); from += MESSAGE_LIMIT) {
                long length = Math.min(MESSAGE_LIMIT, bytes.byteSize() - from);
                var chunk = bytes.asSlice(from, length).asByteBuffer();
                while (chunk.hasRemaining()) {
                    channel.write(chunk);
                }
            }
        }

        private TensorProto describe(String name, ConstantTensor constant) {
            if (!isApart(constant)) {
                return constant.toProto(name);
            }
            long place = place(constant);
            return constant.header(name)
                    .setDataLocation(TensorProto.DataLocation.EXTERNAL)
                    .addExternalData(ExternalData.entry("location", location))
                    .addExternalData(ExternalData.entry("offset", place))
                    .addExternalData(ExternalData.entry("length", constant.byteSize()))
                    .build();
        }
    }
}
