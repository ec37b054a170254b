package io.espalier.state;

import io.espalier.state.TensorEncoder.Encoded;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/** Writes tensors to a compressed file, each in the way that takes the fewest bytes. */
@Internal
public final class CompressedWriter {
    private static final String ORIGINAL = "_orig";
    private static final String MASK = "_mask";
    private static final String CODES = "_codes";

    private final Map<String, Tensor> tensors;
    private final Map<String, Integers> integers;
    private final SequencedMap<String, Encoded> encoded = new LinkedHashMap<>();

    /**
     * A tensor that is stored as integers and scales.
     *
     * @param codes an integer for each element
     * @param scales one for each index of the first dimension if there are two or more, else one
     */
    @SuppressWarnings("ArrayRecordComponent") // made to be read once
    public record Integers(byte[] codes, float[] scales) {}

    private CompressedWriter(Map<String, Tensor> tensors, Map<String, Integers> integers) {
        this.tensors = tensors;
        this.integers = integers;
    }

    /**
     * Writes a file beside its place and moves it there: whoever reads sees the file that was there
     * before or the whole new one. The same tensors give the same bytes.
     *
     * @param tensors by name; the file keeps the map's order. They are read back to equal ones
     * @param integers what is stored for tensors of 32-bit floats that are their products with
     *     scales, by their names
     * @param metadata free text by name, which is written in the names' order
     * @param afterTensor runs after each tensor, to show progress
     * @throws EspalierException if a tensor's type can't be stored or the file can't be written
     */
    public static void write(
            Path file,
            Map<String, Tensor> tensors,
            Map<String, Integers> integers,
            Map<String, String> metadata,
            Runnable afterTensor) {
        Needed.of(file, "the file to write");
        var writer = new CompressedWriter(Needed.of(tensors, "the tensors"), integers);
        tensors.keySet()
                .forEach(name -> {
                    SafeTensorsHeader.requireName(name);
                    try (var scope = new PointerScope()) {
                        writer.encoded.put(name, writer.encode(name));
                    }
                    afterTensor.run();
                });
        writer.write(file, metadata);
    }

    private Encoded encode(String name) {
        List<Long> shape = shape(name);
        Integers codes = integers.get(name);
        if (codes != null) {
            return TensorEncoder.affine(codes.codes(), codes.scales(), shape);
        }
        ElementBits elements = bits(name);
        Encoded following = following(name, elements, shape);
        return following == null ? TensorEncoder.encode(elements, shape) : following;
    }

    /** A mask follows from what it masks, and a shared weight from its codes. */
    private @Nullable Encoded following(String name, ElementBits elements, List<Long> shape) {
        if (name.endsWith(MASK)) {
            String original = without(name, MASK) + ORIGINAL;
            return has(original, shape) && isMaskOf(elements, original)
                    ? TensorEncoder.nonzero(elements.type(), shape, original)
                    : null;
        }
        String codes = without(name, ORIGINAL) + CODES;
        return has(codes, shape) && bits(codes).type() == SafeTensorsType.U8
                ? TensorEncoder.lookup(elements, shape, bits(codes), codes)
                : null;
    }

    private static String without(String name, String end) {
        return name.endsWith(end) ? name.substring(0, name.length() - end.length()) : name;
    }

    private boolean has(String name, List<Long> shape) {
        return tensors.containsKey(name) && shape.equals(shape(name));
    }

    private boolean isMaskOf(ElementBits mask, String original) {
        ElementBits values = bits(original);
        long one = mask.type().one();
        for (int i = 0; i < mask.count(); i++) {
            if (mask.at(i) != (values.at(i) == 0 ? 0 : one)) {
                return false;
            }
        }
        return true;
    }

    private Tensor tensor(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException(name);
        }
        return tensor;
    }

    private List<Long> shape(String name) {
        return Arrays.stream(Tensors.shape(tensor(name))).boxed().toList();
    }

    private ElementBits bits(String name) {
        SafeTensorsType type = SafeTensors.type(name, tensor(name));
        Tensor plain = tensor(name).detach().contiguous();
        if (plain.numel() > CompressedEntry.MAX_ELEMENTS) {
            throw new EspalierException(
                    "'%s' has %d elements; a compressed file holds tensors of up to %d."
                            .formatted(name, plain.numel(), CompressedEntry.MAX_ELEMENTS));
        }
        MemorySegment data = Tensors.segment(plain);
        return new ElementBits(data, type, (int) plain.numel());
    }

    private void write(Path file, Map<String, String> metadata) {
        SequencedMap<String, CompressedEntry> entries = new LinkedHashMap<>();
        List<byte[]> streams = new ArrayList<>();
        encoded.forEach((name, each) -> {
            entries.put(name, each.entry());
            streams.addAll(each.streams());
        });
        long data = streams.stream().mapToLong(stream -> stream.length).sum();
        long dense = entries.values().stream().mapToLong(CompressedEntry::denseBytes).sum();
        int padding = 0;
        while (dense > CompressedHeader.mayClaim(data + padding)) {
            padding = Math.addExact(padding, 1 << 12);
        }
        streams.add(new byte[padding]);
        var header = new CompressedHeader(entries, new TreeMap<>(metadata), padding);
        ByteBuffer start;
        try {
            start = CompressedStart.render(header, streams);
        } catch (EspalierException e) {
            throw new EspalierException("Can't write " + file + ": " + e.getMessage() + ".", e);
        }
        AtomicFile.write(
                file,
                channel -> {
                    SafeTensors.writeFully(channel, start);
                    for (byte[] stream : streams) {
                        SafeTensors.writeFully(channel, ByteBuffer.wrap(stream));
                    }
                });
    }
}
