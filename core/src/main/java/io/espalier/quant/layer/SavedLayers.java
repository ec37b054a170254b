package io.espalier.quant.layer;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.Hook;
import io.espalier.nn.Identity;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.quant.fusion.Folding;
import io.espalier.quant.fusion.FusedReLU;
import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What a file says of each layer besides its tensors, and the layers that are made of that again. A
 * layer's type is written as its class's simple name: one that is renamed must be read by its old
 * name too.
 */
public final class SavedLayers {
    private static final String TYPE = "type";
    private static final String HALF = "HalfPrecision";
    private static final Map<String, LayerKind.Reader> FORMS = LayerKinds.forms();

    private SavedLayers() {}

    /** What a file must say of a module besides its tensors; nothing of a plain float one. */
    public static Map<String, String> describe(Module module) {
        Map<String, String> description = new TreeMap<>();
        switch (module) {
            case SavedForm form -> description.putAll(form.attributes());
            case FusedReLU fused -> description.put("name", fused.typeName());
            case FusedChain chain -> description.putAll(chain.attributes());
            case Identity identity -> {}
            default -> {
                return HalfPrecision.isNarrow(module) ? Map.of(TYPE, HALF) : Map.of();
            }
        }
        description.put(TYPE, module.getClass().getSimpleName());
        return description;
    }

    /**
     * The module that a description and its tensors make of the one that stood there before.
     *
     * @param file where they come from, for errors
     * @param path where the module stands
     * @param old what stood there in the float model
     * @throws EspalierException if the layer's type is not known, or its description can't be read
     */
    public static Module restore(
            Path file,
            String path,
            Module old,
            Map<String, String> description,
            Map<String, Tensor> tensors) {
        try {
            return restore(old, description, tensors);
        } catch (EspalierException | ArithmeticException e) {
            String reason = SafeTensors.printable(String.valueOf(e.getMessage()));
            throw new EspalierException(
                    file
                            + " describes the layer at '"
                            + SafeTensors.printable(path)
                            + "' in a form that can't be read: "
                            + (reason.endsWith(".") ? reason : reason + "."),
                    e);
        }
    }

    private static Module restore(
            Module old, Map<String, String> description, Map<String, Tensor> tensors) {
        String type = description.getOrDefault(TYPE, "");
        return switch (type) {
            case "Identity" -> new Identity();
            case "FusedReLU" ->
                    new FusedReLU(description.getOrDefault("name", ""), alone(old), new ReLU());
            case "FusedChain" -> FusedChain.read(old, description);
            default -> {
                LayerKind.Reader reader = FORMS.get(type);
                if (reader == null) {
                    throw new EspalierException(
                            "this library does not know layers of type '" + type + "'");
                }
                yield reader.read(old, tensors, description);
            }
        };
    }

    /** The layer itself, without the hooks, which go on to what takes its place. */
    private static Module alone(Module layer) {
        Module alone = layer.alias();
        alone.removeHooks(Hook.class);
        return alone;
    }

    /**
     * Refuses a layer that can't stand for the float layer at its place: one of another kind, or
     * with other sizes.
     *
     * @throws EspalierException if it can't
     */
    public static void requireFits(
            Path file, String path, Module old, Module restored, Map<String, Tensor> tensors) {
        if (fits(old, restored)) {
            return;
        }
        Tensor weight = tensors.get("weight");
        throw new EspalierException(
                file
                        + " has a "
                        + firstLine(restored)
                        + (weight == null
                                ? ""
                                : " with a weight of shape "
                                        + Arrays.toString(Tensors.shape(weight)))
                        + " at '"
                        + SafeTensors.printable(path)
                        + "', where the model has "
                        + firstLine(old)
                        + "; load it into the architecture that it was made of.");
    }

    private static boolean fits(Module old, Module restored) {
        Module layer = old instanceof FusedReLU fused ? fused.layer() : old;
        return switch (restored) {
            case SavedForm form -> form.standsFor(layer);
            case FusedReLU fused -> LayerKinds.of(layer).isLinearMap();
            case Identity identity ->
                    layer instanceof BatchNorm || layer.namedParameters().isEmpty();
            default -> true;
        };
    }

    private static String firstLine(Module module) {
        return module.toString().lines().findFirst().orElse("");
    }

    /** Whether a description is that of a float layer with 16-bit parameters. */
    public static boolean isHalfPrecision(Map<String, String> description) {
        return HALF.equals(description.get(TYPE));
    }

    /** The tensors whose names begin with a path, by the rest of their names. */
    public static Map<String, Tensor> below(Map<String, Tensor> tensors, String path) {
        Map<String, Tensor> own = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            if (name.startsWith(path + ".")) {
                own.put(name.substring(path.length() + 1), tensor);
            }
        });
        return own;
    }

    /**
     * A layer that a batch normalization was folded into has a bias, its float original may not.
     */
    public static void addFoldedBiases(Module model, Set<String> names) {
        model.namedModules()
                .forEach((path, module) -> {
                    boolean given = names.contains(path.isEmpty() ? "bias" : path + ".bias");
                    boolean foldable = LayerKinds.of(module).isLinearMap();
                    if (given && foldable && !module.hasParameter("bias")) {
                        module.addParameter("bias", Tensors.zeros(Folding.channels(module)));
                    }
                });
    }
}
