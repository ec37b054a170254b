package io.espalier.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Prints a tensor as PyTorch's {@code repr} does: aligned elements in lines of 80 characters, long
 * dimensions shortened in the middle, and what the numbers don't tell after them.
 */
final class TensorPrinter {
    private static final String PREFIX = "tensor(";
    private static final int LINE = 80;

    /** Above this many elements a dimension shows its first and last {@link #EDGE} only. */
    private static final int THRESHOLD = 1000;

    private static final int EDGE = 3;

    private final boolean[] shortened;
    private final long[] shape;
    private final double[] elements;
    private final ElementFormat format;

    private TensorPrinter(Tensor tensor) {
        boolean summary = tensor.numel() > THRESHOLD;
        Tensor shown = tensor.detach();
        this.shortened = new boolean[Math.toIntExact(tensor.dim())];
        for (int d = 0; d < shortened.length; d++) {
            long size = shown.size(d);
            shortened[d] = summary && size > 2 * EDGE;
            if (shortened[d]) {
                shown =
                        torch.cat(
                                new TensorVector(
                                        shown.narrow(d, 0, EDGE),
                                        shown.narrow(d, size - EDGE, EDGE)),
                                d);
            }
        }
        this.shape = Tensors.shape(shown);
        if (shown.is_floating_point()) {
            this.elements = Tensors.doubles(shown);
            this.format = ElementFormat.of(elements);
        } else {
            boolean truth = Tensors.type(shown) == ScalarType.Bool;
            String[] texts =
                    Arrays.stream(Tensors.longs(shown))
                            .mapToObj(v -> truth ? (v == 0 ? "False" : "True") : Long.toString(v))
                            .toArray(String[]::new);
            this.elements = new double[texts.length];
            Arrays.setAll(elements, i -> i);
            this.format = ElementFormat.of(texts);
        }
    }

    static String print(Tensor tensor) {
        if (!tensor.defined()) {
            return PREFIX + "[], undefined)";
        }
        if (tensor.is_complex()) {
            throw new EspalierException(
                    "A complex tensor can't be printed; print its real and imaginary parts.");
        }
        try (var scope = new PointerScope()) {
            List<String> suffixes = new ArrayList<>();
            Tensor values = tensor;
            if (tensor.is_quantized()) {
                values = tensor.dequantize();
                addQuantization(tensor, suffixes);
            } else {
                addType(tensor, suffixes);
            }
            addGradient(tensor, suffixes);
            String body = values.numel() == 0 ? "[]" : new TensorPrinter(values).print();
            return withSuffixes(PREFIX + body, suffixes);
        }
    }

    private String print() {
        return shape.length == 0
                ? format.apply(elements[0])
                : dimension(0, 0, elements.length, PREFIX.length());
    }

    private String dimension(int depth, int from, int count, int indent) {
        int size = Math.toIntExact(shape[depth]);
        int stride = count / size;
        boolean vector = depth == shape.length - 1;
        List<String> parts = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            if (shortened[depth] && i == EDGE) {
                parts.add(vector ? " ..." : "...");
            }
            int at = from + i * stride;
            parts.add(
                    vector
                            ? format.apply(elements[at])
                            : dimension(depth + 1, at, stride, indent + 1));
        }
        String margin = " ".repeat(indent + 1);
        return vector
                ? lines(parts, indent).collect(Collectors.joining(",\n" + margin, "[", "]"))
                : "["
                        + String.join("," + "\n".repeat(shape.length - 1 - depth) + margin, parts)
                        + "]";
    }

    /** A vector's elements in as many lines as they need. */
    private Stream<String> lines(List<String> parts, int indent) {
        int perLine = Math.max(1, (LINE - indent) / (format.width() + 2));
        return IntStream.iterate(0, i -> i < parts.size(), i -> i + perLine)
                .mapToObj(i -> parts.subList(i, Math.min(i + perLine, parts.size())))
                .map(line -> String.join(", ", line));
    }

    /** The type where the elements don't tell it: they do for float, int64 and bool. */
    private static void addType(Tensor tensor, List<String> suffixes) {
        ScalarType type = Tensors.type(tensor);
        boolean empty = tensor.numel() == 0;
        if (empty && tensor.dim() != 1) {
            suffixes.add("size=" + size(tensor));
        }
        boolean told = !empty && (type == ScalarType.Long || type == ScalarType.Bool);
        if (type != ScalarType.Float && !told) {
            suffixes.add("dtype=" + name(type));
        }
    }

    private static void addQuantization(Tensor tensor, List<String> suffixes) {
        suffixes.add("size=" + size(tensor));
        suffixes.add("dtype=" + name(Tensors.type(tensor)));
        boolean perTensor =
                tensor.qscheme().intern() == torch.QScheme.PER_TENSOR_AFFINE
                        || tensor.qscheme().intern() == torch.QScheme.PER_TENSOR_SYMMETRIC;
        suffixes.add(
                "quantization_scheme=torch."
                        + tensor.qscheme().intern().name().toLowerCase(Locale.ROOT));
        if (perTensor) {
            suffixes.add("scale=" + tensor.q_scale());
            suffixes.add("zero_point=" + tensor.q_zero_point());
        } else {
            suffixes.add("scale=" + print(tensor.q_per_channel_scales()));
            suffixes.add("zero_point=" + print(tensor.q_per_channel_zero_points()));
            suffixes.add("axis=" + tensor.q_per_channel_axis());
        }
    }

    private static void addGradient(Tensor tensor, List<String> suffixes) {
        Node origin = tensor.grad_fn();
        if (origin != null && !origin.isNull()) {
            suffixes.add("grad_fn=<" + origin.name().getString() + ">");
        } else if (tensor.requires_grad()) {
            suffixes.add("requires_grad=True");
        }
    }

    private static String size(Tensor tensor) {
        long[] shape = Tensors.shape(tensor);
        return shape.length == 1
                ? "(" + shape[0] + ",)"
                : Arrays.stream(shape)
                        .mapToObj(Long::toString)
                        .collect(Collectors.joining(", ", "(", ")"));
    }

    /** PyTorch's name of a type. */
    private static String name(ScalarType type) {
        return "torch."
                + switch (type) {
                    case Byte -> "uint8";
                    case Char -> "int8";
                    case Short -> "int16";
                    case Int -> "int32";
                    case Long -> "int64";
                    case Half -> "float16";
                    case Float -> "float32";
                    case Double -> "float64";
                    default -> type.name().toLowerCase(Locale.ROOT);
                };
    }

    private static String withSuffixes(String body, List<String> suffixes) {
        var text = new StringBuilder(body);
        int used = body.length() - body.lastIndexOf('\n') + 1;
        for (String suffix : suffixes) {
            if (used + suffix.length() + 2 > LINE) {
                text.append(",\n").append(" ".repeat(PREFIX.length()));
                used = PREFIX.length() + suffix.length();
            } else {
                text.append(", ");
                used += suffix.length() + 2;
            }
            text.append(suffix);
        }
        return text.append(')').toString();
    }
}
