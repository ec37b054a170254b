package io.espalier.slim;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a model is put together of, whatever its weights are: two forms of one model are equal if
 * nothing in it was replaced, masked or hooked in between.
 *
 * @param parts by path
 */
record ModelForm(Map<String, Part> parts) {
    /**
     * A module.
     *
     * @param hooks whether there are some before and behind it
     * @param masks what its parameters pass through, and the tensors that this keeps, by address
     */
    record Part(Module module, List<Boolean> hooks, Map<String, List<Object>> masks) {
        static Part of(Module module) {
            Map<String, List<Object>> masks = new LinkedHashMap<>();
            for (String name : module.parametrizedNames()) {
                List<Object> all = new ArrayList<>();
                for (Parametrization passed : module.parametrizations(name)) {
                    all.add(passed);
                    for (String buffer : passed.buffers()) {
                        all.add(module.buffer(buffer).unsafeGetTensorImpl().address());
                    }
                }
                masks.put(name, all);
            }
            return new Part(
                    module, List.of(module.hasInputHooks(), module.hasOutputHooks()), masks);
        }
    }

    static ModelForm of(Module model) {
        Map<String, Part> parts = new LinkedHashMap<>();
        model.namedModules().forEach((path, module) -> parts.put(path, Part.of(module)));
        return new ModelForm(parts);
    }
}
