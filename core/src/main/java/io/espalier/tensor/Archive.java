package io.espalier.tensor;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.OutputArchive;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.Tuple;
import org.bytedeco.pytorch.TupleElements;
import org.bytedeco.pytorch.global.torch;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * libtorch's own archives as trees of plain values. They are written and parsed within this
 * process: of bytes from elsewhere the parser believes everything, and can end it.
 *
 * <p>A value is a Boolean, a Long, a Double, a String, a list of two Doubles, a Tensor, or a map of
 * further values by name.
 */
@Internal
public final class Archive {
    private Archive() {}

    /** What was written; its tensors belong to the caller's scope. */
    public static SequencedMap<String, Object> read(OutputArchive written) {
        return tree(ArchiveMemory.parsed(written));
    }

    private static SequencedMap<String, Object> tree(InputArchive archive) {
        SequencedMap<String, Object> tree = new LinkedHashMap<>();
        StringVector keys = archive.keys();
        for (long i = 0; i < keys.size(); i++) {
            BytePointer key = keys.get(i);
            var below = new InputArchive();
            tree.put(
                    key.getString(),
                    archive.try_read(key, below) ? tree(below) : value(archive, key));
        }
        return tree;
    }

    private static Object value(InputArchive archive, BytePointer key) {
        var value = new IValue();
        archive.read(key, value);
        if (value.isTensor()) {
            return value.toTensor();
        }
        if (value.isBool()) {
            return value.toBool();
        }
        if (value.isInt()) {
            return value.toInt();
        }
        if (value.isDouble()) {
            return value.toDouble();
        }
        if (value.isString()) {
            return value.toStringRef().getString();
        }
        TupleElements pair = value.toTupleRef().elements();
        return List.of(pair.get(0).toDouble(), pair.get(1).toDouble());
    }

    /** An archive of these values, to read from. */
    public static InputArchive of(Map<String, ?> tree) {
        try (var noGrad = new NoGradGuard()) {
            return ArchiveMemory.parsed(written(tree, new OutputArchive()));
        }
    }

    private static OutputArchive written(Map<?, ?> tree, OutputArchive archive) {
        tree.forEach((name, value) -> {
            String key = name.toString();
            switch (value) {
                case Map<?, ?> below ->
                        archive.write(
                                key, written(below, new OutputArchive(archive.compilation_unit())));
                case Tensor tensor -> archive.write(key, tensor, true);
                default -> archive.write(key, value(value));
            }
        });
        return archive;
    }

    private static IValue value(Object value) {
        return switch (value) {
            case Boolean flag -> new IValue((boolean) flag);
            case Long number -> new IValue((long) number);
            case Double number -> new IValue((double) number);
            case String text -> new IValue(text);
            case List<?> pair ->
                    new IValue(Tuple.create(value(pair.getFirst()), value(pair.getLast())));
            default -> throw new IllegalArgumentException(value.getClass().getName());
        };
    }

    /** A count as libtorch's archives hold one. */
    public static Tensor count(long value) {
        return torch.tensor(value);
    }
}
