package io.espalier.quant;

import io.espalier.nn.LoadOptions;
import io.espalier.nn.Module;
import io.espalier.quant.layer.HalfPrecision;
import io.espalier.quant.layer.SavedLayers;
import io.espalier.state.SafeTensors;
import io.espalier.state.StateFile;
import io.espalier.state.TensorSource.Kind;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;

/**
 * Puts the layers of an open file into a copy of the float model. What the file claims is compared
 * with the model before its data are read.
 */
final class QuantizedLoading {
    /**
     * A tensor of a quantized layer has at most so many elements for each of its float layer: a row
     * of a table has eight bytes beside its vector.
     */
    private static final long GROWTH = 9;

    /** What a scale or a zero point may take beside a layer without tensors. */
    private static final long FEW = 64;

    private final Module model;
    private final Path file;
    private final StateFile open;
    private final Map<String, Map<String, String>> layers;
    private final SequencedMap<String, Kind> kinds;

    QuantizedLoading(
            Module model, Path file, StateFile open, Map<String, Map<String, String>> layers) {
        this.model = model;
        this.file = file;
        this.open = open;
        this.layers = layers;
        this.kinds = open.kinds();
    }

    /**
     * Loads.
     *
     * @throws EspalierException if the file is damaged or of another model; the copy must not be
     *     used then
     */
    void run() {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            restoreLayers();
            SavedLayers.addFoldedBiases(model, kinds.keySet());
            narrow();
            model.load(open, LoadOptions.DEFAULT, "The state in " + file);
        }
    }

    private void restoreLayers() {
        Set<Module> restoredHere = Collections.newSetFromMap(new IdentityHashMap<>());
        layers.forEach((path, description) -> {
            Module old = placeOf(path);
            boolean done = restoredHere.contains(old); // it stands at an earlier place too
            if (!SavedLayers.isHalfPrecision(description) && !done) {
                Map<String, Tensor> tensors = tensors(path, old);
                Module restored = SavedLayers.restore(file, path, old, description, tensors);
                SavedLayers.requireFits(file, path, old, restored, tensors);
                model.replace(path, Replacements.inPlaceOf(old, restored));
                restoredHere.add(restored);
            }
        });
    }

    /** What lies in the file for a layer, unless it is too much to be of that. */
    private Map<String, Tensor> tensors(String path, Module old) {
        long most = FEW;
        for (Tensor tensor : old.stateDict().values()) {
            most += GROWTH * tensor.numel();
        }
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<String, Kind> each : kinds.entrySet()) {
            if (each.getKey().startsWith(path + ".")) {
                if (elements(each.getValue()) > most) {
                    throw new EspalierException(
                            file
                                    + " has a tensor of shape "
                                    + each.getValue().shape()
                                    + " at '"
                                    + SafeTensors.printable(each.getKey())
                                    + "', where the model has "
                                    + old.toString().lines().findFirst().orElse("")
                                    + "; load it into the architecture that it was made of.");
                }
                tensors.put(each.getKey().substring(path.length() + 1), open.tensor(each.getKey()));
            }
        }
        return tensors;
    }

    private static double elements(Kind kind) {
        return kind.shape().stream().mapToDouble(Long::doubleValue).reduce(1, (a, b) -> a * b);
    }

    private void narrow() {
        layers.forEach((path, description) -> {
            if (SavedLayers.isHalfPrecision(description)) {
                HalfPrecision.narrow(placeOf(path));
            }
        });
    }

    private Module placeOf(String path) {
        @Nullable Module place = path.isEmpty() ? null : model.namedModules().get(path);
        if (place == null) {
            throw new EspalierException(
                    file
                            + " has a quantized layer at '"
                            + SafeTensors.printable(path)
                            + "', where "
                            + model.getClass().getSimpleName()
                            + " has none; load it into the architecture that it was made of.");
        }
        return place;
    }
}
