package io.espalier.onnx.export;

import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Module;
import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * Tables of vectors. Rows in 8 or 4 bits are looked up as they are stored and become floats then:
 * {@code q · scale + offset} of each row.
 */
final class Tables {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Tables() {}

    /** Writes how the vectors at indices are found. */
    @FunctionalInterface
    interface Lookup {
        /** The vectors [*, size] at indices of so many dimensions. */
        String vectors(String indices, int rank);
    }

    /** A quantized table. */
    static List<String> embedding(LayerCall call) {
        return List.of(lookup(call).vectors(call.x(), call.seen().rank()));
    }

    /** Bags of a quantized table. */
    static List<String> bag(LayerCall call) {
        Map<String, String> attributes = call.attributes();
        String padding = attributes.get("padding_idx");
        var options =
                new EmbeddingBag.Options(
                        Mode.valueOf(String.valueOf(attributes.get("mode"))),
                        padding == null
                                ? OptionalLong.empty()
                                : OptionalLong.of(Long.parseLong(padding)),
                        Boolean.parseBoolean(attributes.get("include_last_offset")));
        return List.of(new BagWriter(call, options, lookup(call)).write());
    }

    /** Bags of a table in floats. */
    static List<String> bag(LayerCall call, EmbeddingBag bag) {
        String weight = call.state().tensor("weight");
        Lookup lookup = (indices, rank) -> call.draft().node("Gather", weight, indices);
        return List.of(new BagWriter(call, bag.options(), lookup).write());
    }

    private static Lookup lookup(LayerCall call) {
        Draft draft = call.draft();
        Module table = call.module();
        Map<String, String> attributes = call.attributes();
        long size = Long.parseLong(String.valueOf(attributes.get("embedding_dim")));
        String name = call.prefix() + "weight";
        return switch (String.valueOf(attributes.get("dtype"))) {
            case "FLOAT16" -> {
                String weight = draft.state(name, table.buffer("weight"));
                yield (indices, rank) ->
                        Casts.cast(draft, ElementType.FLOAT, draft.node("Gather", weight, indices));
            }
            case "QUINT8" -> rows(draft, name, table.buffer("weight"), size, false);
            default -> rows(draft, name, table.buffer("weight"), size, true);
        };
    }

    /** Rows that each end with their scale and offset. */
    private static Lookup rows(Draft draft, String name, Tensor packed, long size, boolean halves) {
        int count = Math.toIntExact(packed.size(0));
        int stored = Math.toIntExact(halves ? (size + 1) / 2 : size);
        int width = Math.toIntExact(packed.size(1));
        MemorySegment bytes = Tensors.segment(packed.contiguous());
        byte[] integers = new byte[Math.multiplyExact(count, stored)];
        float[] scales = new float[count];
        float[] offsets = new float[count];
        for (int row = 0; row < count; row++) {
            long at = (long) row * width;
            MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, at, integers, row * stored, stored);
            scales[row] = number(bytes, at + stored, 0, halves);
            offsets[row] = number(bytes, at + stored, 1, halves);
        }
        List<Long> each = List.of((long) count, 1L);
        String codes =
                draft.state(
                        name,
                        ConstantTensor.bytes(
                                ElementType.UINT8, List.of((long) count, (long) stored), integers));
        String scale = draft.state(name + "_scale", ConstantTensor.floats(each, scales));
        String offset = draft.state(name + "_offset", ConstantTensor.floats(each, offsets));
        return (indices, rank) -> {
            String found =
                    Casts.cast(draft, ElementType.FLOAT, draft.node("Gather", codes, indices));
            String plain = halves ? unpacked(draft, found, rank, size) : found;
            String scaled = draft.node("Mul", plain, draft.node("Gather", scale, indices));
            return draft.node("Add", scaled, draft.node("Gather", offset, indices));
        };
    }

    private static float number(MemorySegment bytes, long tail, int which, boolean half) {
        return half
                ? Float.float16ToFloat(bytes.get(SHORT, tail + 2L * which))
                : bytes.get(FLOAT, tail + 4L * which);
    }

    /** Two numbers of each byte, the low half first. */
    private static String unpacked(Draft draft, String pairs, int rank, long size) {
        String sixteen = draft.number(ElementType.FLOAT, 16);
        String high = draft.node("Floor", draft.node("Div", pairs, sixteen));
        String low = draft.node("Sub", pairs, draft.node("Mul", high, sixteen));
        String last = draft.longs(-1);
        String both =
                draft.node(
                        "Concat",
                        node -> node.with("axis", -1),
                        draft.node("Unsqueeze", low, last),
                        draft.node("Unsqueeze", high, last));
        long[] shape = new long[rank + 1];
        Arrays.fill(shape, 0, rank, 0);
        shape[rank] = -1;
        String joined = draft.node("Reshape", both, draft.longs(shape));
        return size % 2 == 0
                ? joined
                : draft.node("Slice", joined, draft.longs(0), draft.longs(size), last);
    }
}
