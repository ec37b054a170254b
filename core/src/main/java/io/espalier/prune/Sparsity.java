package io.espalier.prune;

import io.espalier.nn.IntegerWeighted;
import io.espalier.nn.Module;
import io.espalier.tensor.Needed;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;

/**
 * How sparse a model is, parameter by parameter and in all; {@link #toString} is a table.
 *
 * @param parts one entry a parameter, in the order of the model's tree
 */
public record Sparsity(List<Part> parts) {
    /** Copies the list. */
    public Sparsity {
        parts = List.copyOf(parts);
    }

    /**
     * One parameter.
     *
     * @param name its dotted name, without the {@code _orig} under which a pruned one is stored
     * @param shape its shape, outermost dimension first
     * @param count its number of elements
     * @param zeros how many of them {@code forward} sees as zero
     * @param masked whether a mask makes them so; without one the zeros are in the weights
     */
    public record Part(String name, List<Long> shape, long count, long zeros, boolean masked) {
        /** Copies the shape. */
        public Part {
            shape = List.copyOf(shape);
        }

        /** The share of zeros, in [0, 1]. */
        public double sparsity() {
            return share(zeros, count);
        }
    }

    /**
     * Counts the zeros of a model as it stands, quantized or not; a parameter that stands at two
     * places is counted once.
     */
    public static Sparsity of(Module model) {
        List<Part> parts = new ArrayList<>();
        var seen = Collections.newSetFromMap(new IdentityHashMap<Object, Boolean>());
        Needed.of(model, "the model")
                .namedModules()
                .forEach((path, module) -> {
                    if (module instanceof IntegerWeighted layer && seen.add(layer)) {
                        parts.addAll(integers(path, layer));
                    }
                    for (String name : publicNames(module)) {
                        if (seen.add(module.parameter(module.storedName(name)))) {
                            String full = path.isEmpty() ? name : path + "." + name;
                            parts.add(part(full, module, name));
                        }
                    }
                });
        return new Sparsity(parts);
    }

    /** The weights of a quantized layer; what was pruned stands for exactly zero there too. */
    private static List<Part> integers(String path, IntegerWeighted layer) {
        try (var scope = new PointerScope()) {
            List<Part> parts = new ArrayList<>();
            layer.floatWeights()
                    .forEach((name, weight) -> {
                        String full = path.isEmpty() ? name : path + "." + name;
                        parts.add(counted(full, weight, false));
                    });
            return parts;
        }
    }

    /**
     * The parameters' names as users know them, pruned ones after the others as they are stored.
     */
    private static List<String> publicNames(Module module) {
        List<String> stored = new ArrayList<>(module.ownParameters().keySet());
        for (String name : module.parametrizedNames()) {
            stored.replaceAll(own -> own.equals(module.storedName(name)) ? name : own);
        }
        return stored;
    }

    private static Part part(String full, Module module, String name) {
        try (var guard = new NoGradGuard();
                var scope = new PointerScope()) {
            Tensor value = module.parameter(module.storedName(name));
            String mask = name + "_mask";
            boolean masked = module.hasBuffer(mask);
            if (masked) {
                value = value.mul(module.buffer(mask));
            }
            return counted(full, value, masked);
        }
    }

    private static Part counted(String full, Tensor value, boolean masked) {
        long count = value.numel();
        List<Long> shape = Arrays.stream(Tensors.shape(value)).boxed().toList();
        return new Part(full, shape, count, count - value.count_nonzero().item_long(), masked);
    }

    /** The number of elements of all parameters. */
    public long count() {
        return parts.stream().mapToLong(Part::count).sum();
    }

    /** How many of all elements are zero. */
    public long zeros() {
        return parts.stream().mapToLong(Part::zeros).sum();
    }

    /** The share of zeros among all elements, in [0, 1]; 0 for a model without parameters. */
    public double sparsity() {
        return share(zeros(), count());
    }

    /**
     * How many times fewer elements are not zero than there are: 10 for 90 % of zeros, infinity
     * where nothing is left.
     */
    public double compression() {
        return count() == 0 ? 1 : (double) count() / (count() - zeros());
    }

    /** These figures for the parameters whose names end in {@code suffix}, such as "weight". */
    public Sparsity only(String suffix) {
        return new Sparsity(
                parts.stream()
                        .filter(p -> p.name().equals(suffix) || p.name().endsWith("." + suffix))
                        .toList());
    }

    private static double share(long zeros, long count) {
        return count == 0 ? 0 : (double) zeros / count;
    }

    /** A table: a line for each parameter, and one for all. */
    @Override
    public String toString() {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("parameter", "shape", "count", "zeros", "sparsity", ""));
        for (Part part : parts) {
            String how = part.masked() ? "mask" : "";
            rows.add(row(part.name(), part.shape().toString(), part.count(), part.zeros(), how));
        }
        String compression = String.format(Locale.ROOT, "%.1fx", compression());
        rows.add(row("all", "", count(), zeros(), compression));
        return Table.print(rows, "llrrrl");
    }

    private static List<String> row(String name, String shape, long count, long zeros, String how) {
        return List.of(
                name,
                shape,
                String.format(Locale.ROOT, "%,d", count),
                String.format(Locale.ROOT, "%,d", zeros),
                String.format(Locale.ROOT, "%.1f %%", 100 * share(zeros, count)),
                how);
    }
}
