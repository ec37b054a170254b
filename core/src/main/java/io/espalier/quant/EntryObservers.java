package io.espalier.quant;

import io.espalier.nn.Module;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.tensor.Needed;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * The observers of inputs that come as floats, as at the entry of a model without stubs. Only a
 * call shows where that is; here a copy of the model is called, so that the model itself has these
 * observers before it sees any data: an optimizer can train what they learn, and a state of a
 * prepared model can be loaded. (A graph would not do: what it keeps whole it doesn't look into,
 * and what calibration will find is asked of calibration's own hooks.)
 */
final class EntryObservers {
    private EntryObservers() {}

    /**
     * Prepares a model, and puts the observers in that an example shows to be needed.
     *
     * @param example what the model is called with; nothing, to leave these observers to the first
     *     call
     */
    static void prepare(Module model, List<Tensor> example, Consumer<Module> preparation) {
        Needed.of(model, "the model to prepare");
        if (example.isEmpty()) {
            preparation.accept(model);
            return;
        }
        List<String> paths = entries(model, example, preparation);
        Map<String, ObserverFactory> factories = new HashMap<>();
        Site.of(model).forEach(site -> factories.put(site.path(), site.inputFactory()));
        preparation.accept(model);
        for (String path : paths) {
            Module layer = model.module(path);
            if (!layer.namedChildren().containsKey(Observer.INPUT)) {
                layer.add(Observer.INPUT, Objects.requireNonNull(factories.get(path)).made());
            }
        }
    }

    private static List<String> entries(
            Module model, List<Tensor> example, Consumer<Module> preparation) {
        Module trial = model.copy();
        preparation.accept(trial);
        trial.eval();
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            trial.callAll(example);
        }
        String end = "." + Observer.INPUT;
        return trial.namedModules().keySet().stream()
                .filter(path -> path.endsWith(end))
                .map(path -> path.substring(0, path.length() - end.length()))
                .toList();
    }
}
