//! A dialog: a sheet on a phone, a panel on a desktop. The browser's own dialog element keeps the focus inside and
//! gives it back.

use web_sys::{Event, HtmlDialogElement, MouseEvent};
use yew::prelude::*;

use crate::ui::kit;
use crate::ui::kit::strings;

/// A dialog, open as long as it is on the page.
#[derive(Properties, PartialEq)]
pub struct SheetProps {
    /// Its name for tests. They open every sheet that is named in the source.
    pub name: &'static str,
    pub title: AttrValue,
    /// Called when the person closes it.
    pub on_close: Callback<()>,
    pub children: Html,
}

#[component]
pub fn Sheet(props: &SheetProps) -> Html {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with((), move |()| {
            let dialog = node.cast::<HtmlDialogElement>();
            if let Some(dialog) = dialog.as_ref().filter(|dialog| !dialog.open()) {
                // It is on the page and not open yet, the only two reasons to fail.
                let _ = dialog.show_modal();
            }
            move || {
                if let Some(dialog) = dialog {
                    dialog.close();
                }
            }
        });
    }
    let close = {
        let on_close = props.on_close.clone();
        Callback::from(move |_: MouseEvent| on_close.emit(()))
    };
    let oncancel = {
        let on_close = props.on_close.clone();
        Callback::from(move |event: Event| {
            event.prevent_default();
            on_close.emit(());
        })
    };
    // A click beside the panel lands on the dialog element itself.
    let onclick = {
        let (on_close, node) = (props.on_close.clone(), node.clone());
        Callback::from(move |event: MouseEvent| {
            let beside = event.target().is_some() && event.target() == node.get().map(Into::into);
            if beside {
                on_close.emit(());
            }
        })
    };
    html! {
        <dialog ref={node} class="dialog" data-sheet={props.name} aria-label={props.title.clone()} {oncancel} {onclick}>
            <div class="dialog__head">
                <h2>{ props.title.clone() }</h2>
                { kit::icon_button("btn btn--quiet btn--icon", "close", strings::CLOSE, close) }
            </div>
            <div class="dialog__body">{ props.children.clone() }</div>
        </dialog>
    }
}
