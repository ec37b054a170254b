package io.espalier.onnx.quant;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A name for a model and data that others hardly have: SHA-256 of all that is in them. */
@Internal
public final class Digest {
    private static final long PART = 1L << 20;

    /** Hexadecimal digits enough to tell a few attempts apart. */
    private static final int SHORT = 16;

    private final MessageDigest digest;

    private Digest() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Each JVM has SHA-256.", e);
        }
    }

    static String of(OnnxModel model, CalibrationData data, String settings) {
        return of(List.of(model), data, settings);
    }

    static String of(List<OnnxModel> models, CalibrationData data, String settings) {
        var digest = new Digest();
        digest.add(settings);
        models.forEach(digest::add);
        for (Map<String, Tensor> batch : data.batches()) {
            new TreeMap<>(batch).forEach(digest::add);
        }
        return HexFormat.of().formatHex(digest.digest.digest());
    }

    /** A name for a model's nodes and constants. */
    public static String of(OnnxModel model) {
        var digest = new Digest();
        digest.add(model);
        return HexFormat.of().formatHex(digest.digest.digest());
    }

    /** A short name for names. */
    static String of(Iterable<String> names) {
        var digest = new Digest();
        names.forEach(digest::add);
        return HexFormat.of().formatHex(digest.digest.digest()).substring(0, SHORT);
    }

    private void add(OnnxModel model) {
        model.graph().nodes().forEach(node -> digest.update(node.toProto().toByteArray()));
        model.graph().constants().forEach(this::add);
    }

    private void add(String text) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
    }

    private void add(String name, ConstantTensor constant) {
        add(name + constant);
        if (constant.type() == ElementType.STRING) {
            constant.strings().forEach(text -> add(text.toStringUtf8()));
        } else {
            add(constant.bytes());
        }
    }

    private void add(String name, Tensor tensor) {
        try (var scope = new PointerScope()) {
            add(name);
            add(Tensors.segment(tensor.contiguous()));
        }
    }

    private void add(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize(); at += PART) {
            digest.update(bytes.asSlice(at, Math.min(PART, bytes.byteSize() - at)).asByteBuffer());
        }
    }
}
